trigger BridgeOpportunityTrigger on Opportunity(
  before insert,
  before update,
  after insert,
  after update,
  after delete,
  after undelete
) {
  new BridgeTriggerHandler(Opportunity.SObjectType).run(Trigger.operationType, Trigger.new, Trigger.old);
}
