"""idf_ext.py - `idf.py molt-publish --product lamp` builds, then publishes build/<project>.bin. Copy it beside the
project's CMakeLists.txt. The server is $MOLT_SERVER, its token $MOLT_TOKEN; $MOLT is the program, when it is not in the
path."""

import json
import os
import subprocess
import sys


def action_extensions(base_actions, project_path):
    del base_actions, project_path

    def publish(action, context, args, product, channel):
        del action, context
        with open(os.path.join(args.build_dir, "project_description.json"), encoding="utf-8") as file:
            image = os.path.join(args.build_dir, json.load(file)["app_bin"])
        command = [os.environ.get("MOLT", "molt"), "publish", image, "--product", product]
        if channel:
            command += ["--channel", channel]
        status = subprocess.call(command)
        if status != 0:
            sys.exit(status)

    return {
        "version": "1",
        "actions": {
            "molt-publish": {
                "callback": publish,
                "help": "Publish the firmware on molt's server.",
                "dependencies": ["all"],
                "options": [
                    {"names": ["--product"], "help": "product that the firmware is for", "required": True},
                    {"names": ["--channel"], "help": "channel (default: stable)", "default": ""},
                ],
            }
        },
    }
