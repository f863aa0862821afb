"""Returnista's Ecomm Bridge: Returnista asks the merchant's shop through the hub."""
