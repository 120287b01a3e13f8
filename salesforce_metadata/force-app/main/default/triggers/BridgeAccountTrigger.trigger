trigger BridgeAccountTrigger on Account(
  before insert,
  before update,
  after insert,
  after update,
  after delete,
  after undelete
) {
  new BridgeTriggerHandler(Account.SObjectType).run(Trigger.operationType, Trigger.new, Trigger.old);
}
