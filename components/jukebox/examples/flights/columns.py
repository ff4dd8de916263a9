"""Which columns of the training set the model sees, raw and transformed."""

from __future__ import annotations

LABEL = "late"
MISSING_LABEL = -1
"""Stands for a null label after the transformation; the trainer leaves such rows out."""

CATEGORIES = ("carrier", "origin", "dest")
"""Of the labels themselves: known from the schedule."""

SCHEDULE = ("distance", "sched_minutes")
"""Numbers of the labels themselves. The month is not among them: the evaluation lies in months never trained on."""

JOINED_CATEGORIES = ("aircraft_manufacturer",)

JOINED = (
    "temp",
    "dewp",
    "humid",
    "wind_speed",
    "wind_gust",
    "precip",
    "pressure",
    "visib",
    "aircraft_year",
    "aircraft_seats",
    "aircraft_engines",
    "aircraft_last_arr_delay",
    "aircraft_flights_today",
    "aircraft_minutes_flown_1d",
    "route_arrivals_1d",
    "route_mean_arr_delay_1d",
    "route_late_share_1d",
    "carrier_arrivals_1d",
    "carrier_mean_arr_delay_1d",
    "carrier_late_share_1d",
)
"""Numbers that the point-in-time join brought; each may be missing."""

SCHEDULE_VECTOR = "schedule"
JOINED_VECTOR = "joined"
PART_OF_DAY = "part_of_day"
PARTS_OF_DAY = 7
