"""thin_line.py RATE FROM TO COUNT: a bus at ipc://FROM that is the one at ipc://TO behind a link of RATE bytes a second.

Each way has that rate for all connections together, as a real link has. Keeps in the file COUNT how many bytes were
carried to the bus; the file is there once the line listens.
"""
import asyncio
import sys

rate, here, there, count = float(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
PIECE = 4096


class Way:
    """One direction of the link: a piece leaves when those before it have left."""

    def __init__(self):
        self.free_at = 0.0
        self.carried = 0

    async def carry(self, reader, writer):
        clock = asyncio.get_running_loop().time
        try:
            while data := await reader.read(PIECE):
                self.carried += len(data)
                self.free_at = max(self.free_at, clock()) + len(data) / rate
                await asyncio.sleep(self.free_at - clock())
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        writer.close()


async def main():
    up, down = Way(), Way()
    servers = []
    for end in ("requests", "policies", "publish", "subscribe"):

        async def connect(reader, writer, target=there + "." + end):
            try:
                answers, requests = await asyncio.open_unix_connection(target)
            except OSError:
                writer.close()
                return
            await asyncio.gather(up.carry(reader, requests), down.carry(answers, writer))

        servers.append(await asyncio.start_unix_server(connect, here + "." + end))
    while True:
        with open(count, "w") as file:
            file.write(str(up.carried))
        await asyncio.sleep(0.2)


asyncio.run(main())
