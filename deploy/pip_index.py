"""Print the package index that pip uses, so that Poetry can be pointed at the same one."""

import subprocess
import sys

configured = subprocess.run(
    [sys.executable, "-m", "pip", "config", "get", "global.index-url"], capture_output=True, text=True
).stdout.strip()
if not configured:
    from pip._internal.models.index import PyPI

    configured = PyPI.simple_url
print(configured)
