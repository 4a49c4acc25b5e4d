"""Writes a wheel's list of parts (CycloneDX) to a file of its own, without the folders of this machine, in the wheel too.

Arguments: the list to write, the wheel, and pairs of a folder and the name that stands for it.
"""

import base64
import hashlib
import os
import sys
import zipfile

out, wheel, *folders = sys.argv[1:]
with zipfile.ZipFile(wheel) as given:
    entries = [(info, given.read(info)) for info in given.infolist()]
(name,) = [info.filename for info, _ in entries if info.filename.endswith(".cyclonedx.json")]


def record(data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}"


before = next(data for info, data in entries if info.filename == name)
text = before.decode()
for folder, stand_in in zip(folders[::2], folders[1::2]):
    text = text.replace(folder, stand_in)
after = text.encode()

changed = wheel + ".new"
with zipfile.ZipFile(changed, "w", zipfile.ZIP_DEFLATED) as made:
    for info, data in entries:
        if info.filename == name:
            data = after
        elif info.filename.endswith(".dist-info/RECORD"):
            line = record(before)
            assert line in data.decode(), f"{wheel}: RECORD lacks {line}"
            data = data.decode().replace(line, record(after)).encode()
        made.writestr(info, data)
os.replace(changed, wheel)
with open(out, "wb") as listed:
    listed.write(after)
