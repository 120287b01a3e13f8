"""Who wakes a worker. A carrier only says "there is work": losing or doubling a wake-up cannot lose or double work."""
