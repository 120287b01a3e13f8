// Line items have no undelete event, and a deletion that cascades from an Application fires nothing.
trigger BridgeOpportunityLineItemTrigger on OpportunityLineItem(after insert, after update, after delete) {
  new BridgeTriggerHandler(OpportunityLineItem.SObjectType)
    .run(Trigger.operationType, Trigger.new, Trigger.old);
}
