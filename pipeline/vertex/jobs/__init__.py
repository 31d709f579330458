"""Pipeline jobs and schedules of Vertex AI: submitted, watched, cancelled."""
