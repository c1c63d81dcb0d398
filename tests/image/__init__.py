"""The predict image, really built and booted: buildah, a stand-in of AWS's base image, the real runtime client."""
