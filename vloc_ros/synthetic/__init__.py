"""How synthetic rooms are planned, built, lit, walked through and rendered."""
