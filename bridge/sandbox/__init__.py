"""Fake NetSuite and fake Salesforce: WSGI apps that speak the real protocols and are never kinder than the real ones.

Must not know: anything of ``bridge`` outside this package, zeep, simple_salesforce. A fake that shared code with what
it tests would share its bugs.
"""
