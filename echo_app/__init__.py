"""Echo Lab's front end: charts, controls and pages. Everything it shows comes from `echo_core`."""
