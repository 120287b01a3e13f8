"""A passport is signed as NetSuite documents it, and never used twice."""

import re

from bridge.netsuite.passport import TokenCredentials, passport, signature

CREDENTIALS = TokenCredentials("1234567", "consumer", "first secret", "token", "second secret")


def test_the_signature_is_what_openssl_computes():
    # printf '%s' '1234567&consumer&token&nonce123&1439829974' |
    #   openssl dgst -sha256 -hmac 'first secret&second secret' -binary | base64
    assert signature(CREDENTIALS, "nonce123", 1439829974) == "nyyXVLD9+AjdBle+MHQLhUBmfkO97hcCpAnA4yD6caA="


def test_a_passport_has_its_parts_in_the_order_of_the_schema():
    header = passport(CREDENTIALS, timestamp=1439829974, messages="urn:m", core="urn:c")

    names = [one.tag for one in header]
    assert header.tag == "{urn:m}tokenPassport"
    assert names == [
        f"{{urn:c}}{name}" for name in ("account", "consumerKey", "token", "nonce", "timestamp", "signature")
    ]
    assert header[-1].get("algorithm") == "HMAC-SHA256"


def test_every_passport_has_a_nonce_of_its_own_made_of_letters_and_digits():
    nonces = {passport(CREDENTIALS, timestamp=1, messages="urn:m", core="urn:c")[3].text for _ in range(100)}

    assert len(nonces) == 100
    assert all(re.fullmatch("[0-9A-Za-z]{6,64}", nonce) for nonce in nonces)


def test_credentials_never_show_their_secrets():
    shown = repr(CREDENTIALS) + str(CREDENTIALS) + f"{CREDENTIALS}"

    assert "secret" not in shown
    assert "consumer" not in shown
