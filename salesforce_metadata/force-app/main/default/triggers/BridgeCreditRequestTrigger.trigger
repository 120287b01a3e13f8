trigger BridgeCreditRequestTrigger on Credit_Request__c(
  before insert,
  before update,
  after insert,
  after update,
  after delete,
  after undelete
) {
  new BridgeTriggerHandler(Credit_Request__c.SObjectType)
    .run(Trigger.operationType, Trigger.new, Trigger.old);
}
