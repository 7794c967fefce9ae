"""How near restorations come to the truth."""
