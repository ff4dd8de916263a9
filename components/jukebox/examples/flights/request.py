"""What the flights pipelines load and ask for, on TFX and on KFP alike."""

from __future__ import annotations

LABEL_TIME = "sched_dep"
"""The scheduled departure: the moment at which a delay is foretold."""

ENDPOINTS = {
    "flights.weather": {"start": "2013-01-01", "end": "2013-12-30"},
    "flights.planes": {"date": "2014-01-01"},
    "flights.aircraft": {"start": "2013-01-01", "end": "2014-01-01"},
    "flights.routes": {"start": "2013-01-01", "end": "2014-01-01"},
    "flights.carriers": {"start": "2013-01-01", "end": "2014-01-01"},
}
"""The dates that each data endpoint is loaded for."""

FEATURES = [
    *(
        f"/airport/flights-weather/{name}"
        for name in (
            "temp",
            "dewp",
            "humid",
            "wind_dir",
            "wind_speed",
            "wind_gust",
            "precip",
            "pressure",
            "visib",
        )
    ),
    *(f"/aircraft/fleet-register/aircraft_{name}" for name in ("year", "seats", "engines", "manufacturer")),
    *(f"/aircraft/flights-history/aircraft_{name}" for name in ("last_arr_delay", "flights_today", "minutes_flown_1d")),
    *(f"/route/flights-history/route_{name}" for name in ("arrivals_1d", "mean_arr_delay_1d", "late_share_1d")),
    *(f"/carrier/flights-history/carrier_{name}" for name in ("arrivals_1d", "mean_arr_delay_1d", "late_share_1d")),
]
"""The request: every feature under the last part of its name."""
