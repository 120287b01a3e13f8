"""Ways in over HTTP: callouts of Apex, the console, health."""
