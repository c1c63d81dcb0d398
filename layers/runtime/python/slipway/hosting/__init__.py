"""What SageMaker serves, and how a promotion changes it.

names.py     the names of what is made for a version
models.py    SageMaker's models, one a version
targets.py   what serves them: the inference component, the asynchronous endpoint
calls.py     the calls of a release; invoking.py those of a request; the only users of boto3 here
"""
