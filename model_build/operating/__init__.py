"""What a deployment does now, as its own log lines and metrics tell it.

readings.py     series of numbers over time, whichever way they came
lines.py        from log lines, as CloudWatch would make metrics of them: for the local cloud
cloudwatch.py   from CloudWatch, and the alarms there
logs.py         log groups: found, read, followed
told.py         a log line as one line for people
panels.py       the dashboard's panels out of readings
charts.py       a panel as SVG
page.py         all of it as one HTML file
"""
