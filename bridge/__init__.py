"""A bridge between Salesforce and NetSuite: nothing lost, nothing doubled, correct to the cent."""

__version__ = "0.1.0"
