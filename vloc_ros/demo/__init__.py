"""The demo: a drive played to the real nodes over DDS, listened to, scored and drawn."""
