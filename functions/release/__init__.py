"""What follows the live version, or moves it; zips with the runtime layer, for they need no model.

bake.py       a turn of a bake → the canary grows, is promoted, or is withdrawn (docs/releases.md)

The GPU endpoint follows the live version (docs/gpu.md):

roll.py       a promotion's event → the endpoints serve what is live now
pulse.py      every minute → how many requests there are, for the routers
deployed.py   a deployment asks which version is live, so that it cannot bring back an older one
version.py    the live version, if a GPU can serve it
"""
