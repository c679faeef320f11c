#!/usr/bin/env python3
"""Checks what `kunlog log prove` wrote, without Kunlog: the record, its hash, and its path to the head.

  verify-proof.py PROOF.json                    the proof in itself
  verify-proof.py PROOF.json --head HEAD.json   and that its head is the one that was written down (`kunlog log head --json`)

A proof is that a record belongs to the log of a head, or that the log of an earlier head is the beginning of that of a
later one. Exit status 0: it holds; 1: it does not, and why. The tree is that of RFC 9162, section 2.1, with SHA-256; a
leaf's data is the record's hash: SHA-256 of index and term (8 bytes each, little-endian) and the record's body.
"""
import argparse
import base64
import hashlib
import json
import sys


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def node(left, right):
    return sha256(b"\x01", left, right)


def refuse(why):
    sys.exit(f"REFUSED: {why}")


def record_root(leaf, place, count, path):
    """RFC 9162, 2.1.3.2: the root that follows from a leaf and its path."""
    last = count - 1
    for sibling in path:
        if last == 0:
            refuse("the path is too long")
        if place & 1 or place == last:
            leaf = node(sibling, leaf)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            leaf = node(leaf, sibling)
        place, last = place >> 1, last >> 1
    if last:
        refuse("the path is too short")
    return leaf


def consistent_roots(first, second, path, first_root):
    """RFC 9162, 2.1.4.2: both roots that follow from the path between two trees."""
    if first & (first - 1) == 0:
        path = [first_root] + path
    if not path:
        refuse("the path is empty")
    older = newer = path[0]
    place, last = first - 1, second - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    for sibling in path[1:]:
        if last == 0:
            refuse("the path is too long")
        if place & 1 or place == last:
            older, newer = node(sibling, older), node(sibling, newer)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            newer = node(newer, sibling)
        place, last = place >> 1, last >> 1
    if last:
        refuse("the path is too short")
    return older, newer


parser = argparse.ArgumentParser()
parser.add_argument("proof")
parser.add_argument("--head", help="the head that was written down: the later one of a proof that has two")
arguments = parser.parse_args()
proof = json.load(open(arguments.proof, encoding="utf-8"))
path = [bytes.fromhex(step) for step in proof["path"]]
head = proof.get("second") or proof["head"]
if arguments.head and json.load(open(arguments.head, encoding="utf-8")) != head:
    refuse("the proof's head is not the one that was written down")
if "record" in proof:
    record, place = proof["record"], proof["leaf"]
    body = base64.b64decode(record["body"], validate=True)
    digest = sha256(record["index"].to_bytes(8, "little"), record["term"].to_bytes(8, "little"), body)
    if digest.hex() != record["hash"]:
        refuse(f"record {record['index']} does not have the hash that it claims")
    if not 0 <= place < head["count"] or record_root(sha256(b"\x00", digest), place, head["count"], path).hex() != head["root"]:
        refuse(f"record {record['index']} does not belong to the head's log")
    print(f"record {record['index']} is number {place} of the {head['count']} records of head {head['root']}")
else:
    first = proof["first"]
    if not 0 < first["count"] < head["count"]:
        refuse("the first head is not the earlier one")
    roots = consistent_roots(first["count"], head["count"], path, bytes.fromhex(first["root"]))
    if [root.hex() for root in roots] != [first["root"], head["root"]]:
        refuse("the log of the first head is not the beginning of the second one's")
    print(f"the {first['count']} records of head {first['root']} are the first of the {head['count']} of head {head['root']}")
