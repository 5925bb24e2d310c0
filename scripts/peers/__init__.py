"""The neighbours of the product on one loopback port: a strict WhatsApp, an OpenAI and a CRM to develop against.

They are written from the published behaviour of those APIs and share no code with the product, so that a
misunderstanding cannot hide by being on both sides.
"""
