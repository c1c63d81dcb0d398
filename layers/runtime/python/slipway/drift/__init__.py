"""Whether the texts that come are still those that the model was measured on. No numpy, no text, no model.

bins.py         a text's place in each distribution, by the baseline in its model's manifest
comparing.py    two sets of counts → PSI, a test, and whether both say that something has changed
windows.py      an hour of the API's log lines → counts; how windows are kept
cloudwatch.py   the log they are read from, and what is told of them
"""
