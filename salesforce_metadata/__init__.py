"""The Salesforce DX project of the bridge: objects, fields, Apex. It travels in the wheel as data."""
