#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-only
"""Cut kernel/patches and kernel/src into one series that git am takes.

kernel/series says which patches there are and what enters with each; its head
describes the lines. The whole tree is kept twice: "full", which edits are
applied to, and "cut", which is committed: full without what enters later. Cut
are the parts that the manifest names, and, in Makefiles, the objects and
folders whose sources are not there yet. At the end both must be the same.

usage: kernel_series.py ROOT PRISTINE OUT FACTS [--signoff]

PRISTINE is an untouched Linux, OUT an existing folder, FACTS a file with the
part of the cover letter that was measured. stdout: one line per patch, its
name, then the paths that it touches, separated by tabs.
"""
import fnmatch
import os
import re
import shutil
import subprocess
import sys
import textwrap


class Bad(Exception):
    """What is wrong with the manifest or a patch, in one line."""


class Entry:
    """One patch of the series."""

    def __init__(self, name):
        self.name = name
        self.src = []       # patterns of kernel/src
        self.edit = []      # patterns of kernel/patches
        self.part = []      # (file, regular expression)
        self.files = []     # of kernel/src
        self.edits = []     # of kernel/patches


def read_manifest(path):
    """The entries of kernel/series, in order; one may be "rest"."""
    entries = []
    with open(path, encoding="utf-8") as file:
        for number, line in enumerate(file, 1):
            words = line.split(None, 2)
            if not words or words[0].startswith("#"):
                continue
            where = f"kernel/series:{number}"
            if words[0] == "patch" and len(words) == 2:
                entries.append(Entry(words[1]))
            elif words == ["rest"]:
                entries.append(Entry("rest"))
            elif not entries or entries[-1].name == "rest":
                raise Bad(f'{where}: "{words[0]}" before the first patch or after rest')
            elif words[0] in ("src", "edit") and len(words) == 2:
                getattr(entries[-1], words[0]).append(words[1])
            elif words[0] == "part" and len(words) == 3:
                entries[-1].part.append((words[1], words[2].rstrip()))
            else:
                raise Bad(f"{where}: not one of: patch NAME, rest, src PATTERN, "
                          "edit PATTERN, part FILE REGEX")
    names = [entry.name for entry in entries]
    for name in names:
        if names.count(name) > 1:
            raise Bad(f'kernel/series: two entries "{name}"')
    return entries


def share_out(names, entries, kind, into):
    """Give each name to the entry with the longest pattern for it."""
    left = []
    used = set()
    for name in names:
        fits = [(len(pattern), -i, pattern) for i, entry in enumerate(entries)
                for pattern in getattr(entry, kind) if fnmatch.fnmatchcase(name, pattern)]
        if not fits:
            left.append(name)
            continue
        _, i, pattern = max(fits)
        used.add((-i, pattern))
        getattr(entries[-i], into).append(name)
    for i, entry in enumerate(entries):
        for pattern in getattr(entry, kind):
            if (i, pattern) not in used:
                raise Bad(f"kernel/series: {entry.name}: {kind} {pattern} names nothing")
    return left


def plan(root):
    """The entries with their files and edits, "rest" spread out."""
    entries = read_manifest(f"{root}/kernel/series")
    src = []
    for folder, _, names in os.walk(f"{root}/kernel/src"):
        src += [os.path.relpath(f"{folder}/{name}", f"{root}/kernel/src") for name in names]
    patches = [name for name in sorted(os.listdir(f"{root}/kernel/patches"))
               if name.endswith(".patch")]
    left = share_out(sorted(src), entries, "src", "files")
    if left:
        raise Bad(f"kernel/series: no patch takes kernel/src/{left[0]}"
                  + (f" and {len(left) - 1} more" if len(left) > 1 else ""))
    left = share_out(patches, entries, "edit", "edits")
    spread = []
    for entry in entries:
        if entry.name != "rest":
            spread.append(entry)
            continue
        for name in left:
            spread.append(Entry(name[:-len(".patch")]))
            spread[-1].edits.append(name)
        left = []
    if left:
        raise Bad(f"kernel/series: no patch takes kernel/patches/{left[0]}")
    return [entry for entry in spread if entry.files or entry.edits or entry.part]


# ------------------------------------------------------------------ changelogs

def read_mail(path):
    """Subject and body of a patch, or of a changelog."""
    with open(path, encoding="utf-8") as file:
        head, _, body = file.read().partition("\n\n")
    subject = re.search(r"^Subject: *(.*(?:\n[ \t].*)*)", head, re.M)
    if not subject:
        raise Bad(f"{path} does not begin with headers, one of them Subject:")
    subject = re.sub(r"^\[PATCH[^]]*\] *", "", re.sub(r"\s+", " ", subject[1]))
    body = re.split(r"^(?:---|diff --git .*)$", body, maxsplit=1, flags=re.M)[0].strip()
    return subject, "\n\n".join(wrap(paragraph) for paragraph in re.split(r"\n\n+", body))


def wrap(paragraph):
    """The paragraph in lines of at most 75, unless it is a list or a picture."""
    lines = paragraph.split("\n")
    if all(len(line) <= 75 for line in lines) or \
            any(re.match(r"\s|[-*] |[A-Z][a-z-]+: ", line) for line in lines):
        return paragraph
    return textwrap.fill(" ".join(lines), 75, break_long_words=False, break_on_hyphens=False)


def changelog(root, entry):
    """What the patch says: its own text, or that of its only edit."""
    own = f"{root}/kernel/changelogs/{entry.name}"
    if os.path.exists(own):
        return read_mail(own)
    if len(entry.edits) == 1:
        return read_mail(f"{root}/kernel/patches/{entry.edits[0]}")
    raise Bad(f"no kernel/changelogs/{entry.name}, which {len(entry.edits)} patches of "
              "kernel/patches do not replace")


# --------------------------------------------------------------------- cutting

def find_part(lines, regex):
    """First line that matches, and the end of what is indented below it."""
    for first, line in enumerate(lines):
        if not re.search(regex, line):
            continue
        depth = len(line) - len(line.lstrip())
        last = first + 1
        for i in range(first + 1, len(lines)):
            text = lines[i].strip()
            if text and len(lines[i]) - len(lines[i].lstrip()) <= depth:
                break
            if text or depth == 0:
                last = i + 1
        return first, last
    return None


def without_part(lines, where):
    """Lines without that range; a continuation must not dangle."""
    first, last = where
    kept = lines[:first] + lines[last:]
    if first and kept[first - 1].endswith("\\\n") and not lines[last - 1].endswith("\\\n"):
        kept[first - 1] = kept[first - 1][:-2].rstrip() + "\n"
    while kept and not kept[-1].strip():
        kept.pop()
    return kept


def without_objects(path, lines, later):
    """A Makefile without the objects and folders of files that enter later."""
    folder = os.path.dirname(path)

    def is_later(word):
        if word.endswith("/"):
            return any(name.startswith(f"{folder}/{word}") for name in later) and \
                f"{folder}/{word}Makefile" in later
        return word.endswith(".o") and f"{folder}/{word[:-2]}.c" in later

    kept = []
    for line in lines:
        words = re.split(r"(\s+)", line)
        if any(is_later(word) for word in words):
            line = "".join(words[i] for i in range(len(words))
                           if not is_later(words[i]) and
                           not (i + 1 < len(words) and is_later(words[i + 1])
                                and words[i].isspace()))
            if re.search(r"[:+]?=\s*$", line):
                continue
        kept.append(line)
    return kept


class Trees:
    """The full and the cut tree, the latter a repository; only touched files."""

    def __init__(self, root, pristine, out):
        self.root, self.pristine = root, pristine
        self.full, self.cut = f"{out}/full", f"{out}/cut"
        self.environment = dict(os.environ, GIT_CEILING_DIRECTORIES=out, LC_ALL="C",
                                GIT_CONFIG_NOSYSTEM="1")
        for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
            self.environment.pop(name, None)
        for folder in (self.full, self.cut):
            os.mkdir(folder)

    def run(self, folder, *command, **more):
        """Output of the command in that folder."""
        done = subprocess.run(command, cwd=folder, env=self.environment, text=True,
                              capture_output=True, check=False, **more)
        if done.returncode:
            raise Bad(f"{' '.join(command[:3])}: {done.stderr.strip().splitlines()[0]}"
                      if done.stderr.strip() else f"{' '.join(command)} failed")
        return done.stdout

    def base(self, entries):
        """Commit Linux's own version of every file that an edit touches."""
        self.touched = set()
        for entry in entries:
            for name in entry.edits:
                with open(f"{self.root}/kernel/patches/{name}", encoding="utf-8") as file:
                    self.touched |= set(re.findall(r"^(?:---|\+\+\+) [ab]/([^\t\n]+)",
                                                   file.read(), re.M))
        for path in sorted(self.touched):
            if os.path.exists(f"{self.pristine}/{path}"):
                for folder in (self.full, self.cut):
                    os.makedirs(os.path.dirname(f"{folder}/{path}"), exist_ok=True)
                    shutil.copy(f"{self.pristine}/{path}", f"{folder}/{path}")
        self.run(self.cut, "git", "init", "-q", "-b", "series")
        self.run(self.cut, "git", "config", "core.autocrlf", "false")
        self.commit("Linux", [])

    def apply(self, name):
        """One of kernel/patches, onto the full tree."""
        try:
            self.run(self.full, "git", "apply", f"{self.root}/kernel/patches/{name}")
        except Bad as bad:
            raise Bad(f"kernel/patches/{name} does not apply where kernel/series "
                      f"has it: {bad}") from bad

    def add(self, path):
        """One of kernel/src, into the full tree."""
        if os.path.exists(f"{self.full}/{path}") or os.path.exists(f"{self.pristine}/{path}"):
            raise Bad(f"Linux has kernel/src/{path} already")
        os.makedirs(os.path.dirname(f"{self.full}/{path}"), exist_ok=True)
        shutil.copy(f"{self.root}/kernel/src/{path}", f"{self.full}/{path}")

    def update_cut(self, later, parts):
        """Make cut what full is, less what enters later."""
        names = set()
        for folder, _, files in os.walk(self.full):
            names |= {os.path.relpath(f"{folder}/{name}", self.full) for name in files}
        for path in names:
            with open(f"{self.full}/{path}", encoding="utf-8") as file:
                lines = file.readlines()
            for name, regex in parts:
                if name == path:
                    where = find_part(lines, regex)
                    lines = without_part(lines, where) if where else lines
            if os.path.basename(path) in ("Makefile", "Kbuild"):
                lines = without_objects(path, lines, later)
            os.makedirs(os.path.dirname(f"{self.cut}/{path}"), exist_ok=True)
            with open(f"{self.cut}/{path}", "w", encoding="utf-8") as file:
                file.writelines(lines)
        for path in self.touched:
            if path not in names and os.path.exists(f"{self.cut}/{path}"):
                os.unlink(f"{self.cut}/{path}")

    def commit(self, message, signoff):
        """Commit all of cut; the paths that changed."""
        self.run(self.cut, "git", "add", "-A")
        self.run(self.cut, "git", "-c", "commit.gpgsign=false", "commit", "-q", "--allow-empty", "-F", "-", *signoff,
                 input=message)
        return self.run(self.cut, "git", "show", "--format=", "--name-only", "HEAD").split()


def check_parts(trees, entries):
    """Every part must be found once its file is whole."""
    for entry in entries:
        for path, regex in entry.part:
            try:
                with open(f"{trees.full}/{path}", encoding="utf-8") as file:
                    if find_part(file.readlines(), regex):
                        continue
            except OSError:
                pass
            raise Bad(f"kernel/series: {entry.name}: part {path} {regex} is not there")


def make_series(root, pristine, out, facts, signoff):
    """The series in OUT."""
    entries = plan(root)
    trees = Trees(root, pristine, out)
    who = [trees.run(root, "git", "log", "-1", "--format=%aI").strip()]
    for key in ("user.name", "user.email"):
        try:
            who.append(trees.run(root, "git", "config", key).strip())
        except Bad as bad:
            raise Bad(f"git does not know the author; to go on: git config {key} ...") from bad
    for role in ("AUTHOR", "COMMITTER"):
        for key, value in zip(("DATE", "NAME", "EMAIL"), who):
            trees.environment[f"GIT_{role}_{key}"] = value
    trees.base(entries)
    first = trees.run(trees.cut, "git", "rev-parse", "HEAD").strip()
    report = []
    for i, entry in enumerate(entries):
        for name in entry.edits:
            trees.apply(name)
        for path in entry.files:
            trees.add(path)
        later = entries[i + 1:]
        trees.update_cut({path for e in later for path in e.files},
                         [part for e in later for part in e.part])
        subject, body = changelog(root, entry)
        touched = trees.commit(f"{subject}\n\n{body}\n", signoff)
        if not touched:
            raise Bad(f"kernel/series: {entry.name} changes nothing where it stands")
        report.append("\t".join([entry.name] + touched))
    check_parts(trees, entries)
    names = trees.run(trees.cut, "git", "format-patch", "-q", "-v1", "--cover-letter", "-M",
                      "--no-signature", "-o", out, first).split()
    write_cover(root, f"{out}/v1-0000-cover-letter.patch", facts)
    print("\n".join(report))
    return names


def write_cover(root, path, facts):
    """Put the text and the facts where git left room for them."""
    subject, body = read_mail(f"{root}/kernel/changelogs/cover")
    with open(facts, encoding="utf-8") as file:
        body += "\n\n" + "\n".join(
            textwrap.fill(line, 75, subsequent_indent="  ") for line in file.read().splitlines())
    with open(path, encoding="utf-8") as file:
        text = file.read()
    text = text.replace("*** SUBJECT HERE ***", subject).replace("*** BLURB HERE ***", body)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def main():
    """0 made; 1 the manifest or a patch is wrong; 2 usage."""
    if len(sys.argv) not in (5, 6):
        sys.exit(2)
    try:
        make_series(*sys.argv[1:5], sys.argv[5:])
    except Bad as bad:
        print(f"kernel-series: {bad}", file=sys.stderr)
        sys.exit(1)


main()
