"""platformio.py - `pio run -t molt-publish` publishes what PlatformIO has built. In platformio.ini:

    extra_scripts = post:path/to/molt/tools/publish/platformio.py
    custom_molt_product = lamp      ; the product, needed
    custom_molt_channel = stable    ; optional

The server is $MOLT_SERVER, its token $MOLT_TOKEN; without them molt's own data folder. $MOLT is the program, when it is
not in the path."""

import os
import subprocess
import sys

Import("env")  # noqa: F821 - PlatformIO's


def publish(source, target, env):
    del source, target
    project = env.GetProjectOption
    product = project("custom_molt_product", "")
    if not product:
        sys.exit("molt: say custom_molt_product = NAME in platformio.ini")
    command = [os.environ.get("MOLT", "molt"), "publish", env.subst("$BUILD_DIR/${PROGNAME}.bin"), "--product", product]
    channel = project("custom_molt_channel", "")
    if channel:
        command += ["--channel", channel]
    status = subprocess.call(command)
    if status != 0:
        sys.exit(status)


env.AddCustomTarget("molt-publish", "$BUILD_DIR/${PROGNAME}.bin", publish,  # noqa: F821
                    title="molt publish", description="Publish the firmware on molt's server")
