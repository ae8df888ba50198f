"""Makes a city's history as the files its counties send, loads it through the public doors, and checks the outcome."""
