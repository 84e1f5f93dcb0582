"""The schema: message classes, prototxt in and out, upgrades of old files."""
