"""What each vendor's API is: YAML, fixtures, cases and a simulator in one folder a vendor."""
