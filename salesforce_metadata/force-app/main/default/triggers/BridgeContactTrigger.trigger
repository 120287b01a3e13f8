trigger BridgeContactTrigger on Contact(
  before insert,
  before update,
  after insert,
  after update,
  after delete,
  after undelete
) {
  new BridgeTriggerHandler(Contact.SObjectType).run(Trigger.operationType, Trigger.new, Trigger.old);
}
