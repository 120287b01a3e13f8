"""SuiteTalk bindings of our own, one folder per endpoint version: only what the bridge uses."""
