"""slow_line.py DELAY SOCKET PORT_FILE: a line to a unix socket on which everything takes DELAY seconds.

Listens on a port of its own choice, which it writes into PORT_FILE.
"""
import asyncio
import os
import sys

delay, target, port_file = float(sys.argv[1]), sys.argv[2], sys.argv[3]


async def carry(reader, writer):
    clock = asyncio.get_running_loop().time
    waiting = asyncio.Queue()

    async def deliver():
        while True:
            at, data = await waiting.get()
            await asyncio.sleep(max(0, at - clock()))
            if not data:
                writer.close()
                return
            writer.write(data)
            await writer.drain()

    delivery = asyncio.create_task(deliver())
    try:
        while True:
            data = await reader.read(65536)
            waiting.put_nowait((clock() + delay, data))
            if not data:
                break
        await delivery
    except ConnectionError:
        delivery.cancel()
        writer.close()


async def connect(reader, writer):
    await asyncio.sleep(delay)
    try:
        there, back = await asyncio.open_unix_connection(target)
    except OSError:
        writer.close()
        return
    await asyncio.gather(carry(reader, back), carry(there, writer))


async def main():
    server = await asyncio.start_server(connect, "127.0.0.1", 0)
    with open(port_file + ".new", "w") as file:
        file.write(str(server.sockets[0].getsockname()[1]))
    os.rename(port_file + ".new", port_file)
    await server.serve_forever()


asyncio.run(main())
