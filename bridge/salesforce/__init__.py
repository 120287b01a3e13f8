"""Salesforce over REST, behind the port. ``RestSalesforce`` is the way in."""

from bridge.salesforce.auth import Auth, ClientCredentials, JwtBearer
from bridge.salesforce.rest import RestSalesforce

__all__ = ["Auth", "ClientCredentials", "JwtBearer", "RestSalesforce"]
