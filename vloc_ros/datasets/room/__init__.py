"""How the synthetic room is built, lit, walked through and rendered."""
