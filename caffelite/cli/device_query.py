"""Tell of GPUs, of which there are none here: "caffelite doctor" tells what nets run on.

    caffelite device_query --gpu 0

As Caffe built without GPU support does, it fails where one is asked for.
"""

from ..errors import CaffeliteError
from ..glog import start_logging


def add_arguments(parser):
    parser.add_argument("--gpu", default="", metavar="IDS", help="GPUs to tell of: 0,1 or all")


def run(args):
    start_logging().info("Querying GPUs %s", args.gpu)
    if args.gpu:
        raise CaffeliteError(
            f"-gpu {args.gpu}: there is no GPU support here; "
            '"caffelite doctor" tells what nets run on'
        )
    return 0
