"""The first sequence numbers with which port 22 of an address answers to connections from four ports of ours, and when each was heard.

Usage: sequence-numbers.py DEVICE FROM TO. Prints "port number nanoseconds" lines. Needs to open packet sockets.
"""
import socket
import struct
import sys
import time

device, ours, theirs = sys.argv[1:]
packets = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x0800))
packets.bind((device, 0x0800))
packets.settimeout(20)
# Below the ports that the kernel takes for others' connections.
for port in range(20000, 20004):
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # Reset at the end: the four ports are free for the next machine.
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.settimeout(20)
    connection.bind((ours, port))
    connection.connect((theirs, 22))
    while True:
        frame = packets.recv(65535)
        heard = time.monotonic_ns()
        if len(frame) < 54 or frame[14] != 0x45 or frame[23] != 6:
            continue
        source, target, number, _, _, flags = struct.unpack("!HHIIBB", frame[34:48])
        if (source, target, flags & 0x12) == (22, port, 0x12):
            print(port, number, heard)
            break
    connection.close()
