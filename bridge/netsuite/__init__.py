"""NetSuite over SuiteTalk SOAP, behind the port. ``SoapNetSuite`` is the way in."""

from bridge.netsuite.passport import TokenCredentials
from bridge.netsuite.soap import SoapNetSuite
from bridge.netsuite.wsdl import Bindings

__all__ = ["Bindings", "SoapNetSuite", "TokenCredentials"]
