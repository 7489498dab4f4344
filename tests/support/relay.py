"""A TCP relay that makes a link slow or lossy, for kernels without netem.

    python relay.py --to HOST:PORT [--listen HOST:PORT] [--delay SECONDS] [--loss PROBABILITY] [--seed N]

prints `ready HOST:PORT` and passes connections on. Each piece arrives `delay` later; a lost one, and all that follows
on its connection, `RETRANSMIT` later than that: what TCP makes of a lost packet.
"""

import argparse
import asyncio
import random

PACKET = 1448
RETRANSMIT = 0.2


async def pump(reader, writer, delay, loss, chance):
    """Passes on in order; a piece is read at once, so that the delay does not limit the rate."""
    clock = asyncio.get_running_loop().time
    queue = asyncio.Queue(4096)

    async def deliver():
        while True:
            due, piece = await queue.get()
            await asyncio.sleep(max(0.0, due - clock()))
            if not piece:
                return writer.close()
            writer.write(piece)
            await writer.drain()

    delivery = asyncio.create_task(deliver())
    due = 0.0
    try:
        while True:
            piece = await reader.read(PACKET)
            due = max(due, clock() + delay + (RETRANSMIT if chance.random() < loss else 0.0))
            await queue.put((due, piece))
            if not piece:
                return await delivery
    except (ConnectionError, asyncio.CancelledError):
        delivery.cancel()
        writer.close()


async def serve(arguments):
    host, port = arguments.to.rsplit(":", 1)
    chance = random.Random(arguments.seed)

    async def connected(reader, writer):
        try:
            far_reader, far_writer = await asyncio.open_connection(host, int(port))
        except OSError:
            writer.close()
            return
        ways = ((reader, far_writer), (far_reader, writer))
        await asyncio.gather(*(pump(*way, arguments.delay, arguments.loss, chance) for way in ways))

    own_host, own_port = arguments.listen.rsplit(":", 1)
    server = await asyncio.start_server(connected, own_host, int(own_port))
    print("ready {}:{}".format(*server.sockets[0].getsockname()), flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--listen", default="127.0.0.1:0")
    parser.add_argument("--to", required=True)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--loss", type=float, default=0.0)
    parser.add_argument("--seed", type=int, default=0)
    asyncio.run(serve(parser.parse_args()))
