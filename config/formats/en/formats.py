"""English, with the zone beside every hour: the admin's lists are read all over the world."""

DATE_FORMAT = "j M Y"
DATETIME_FORMAT = "j M Y, H:i T"
