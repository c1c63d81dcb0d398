"""The door of an API that takes JSON Web Tokens: a Lambda authorizer for the tokens of any OpenID Connect issuer.

    handler.py   API Gateway's question → its answer
    tokens.py    a token and the issuer's keys → what the token claims, or why it is refused
    keys.py      the issuer's public keys, fetched and kept

The one place with cryptography, which is not among the runtime's packages: this image has requirements of its own.
"""
