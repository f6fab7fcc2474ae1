#!/usr/bin/env bash
# SPDX-License-Identifier: GPL-2.0-only
#
# dpamt explore from outside: exit codes, the double REMOVE of v3 as a picture
# and as a schedule file that shows it again, and files that do not fit.
source "$(dirname "$0")/lib.sh"

explore() {
	"$dpamt" explore --out "$tmp" "$@" >"$tmp/out" 2>"$tmp/err"
	status=$?
}

says() {
	grep -q -- "$1" "$2"
}

one_line() {
	[ "$(wc -l <"$tmp/err")" -eq 1 ] && grep -q '^dpamt: ' "$tmp/err"
}

explore --quiet --strategy v3 --scenario last --memory sc
check 'v3 is broken, exit 1' [ $status -eq 1 ]
check 'the double REMOVE is named' says 'double REMOVE' "$tmp/out"
check 'a column per CPU' says '^CPU0  *CPU1' "$tmp/out"
check 'lines of source are named' says 'scenario_v3.c:[0-9]' "$tmp/out"
check 'nothing on stderr' [ ! -s "$tmp/err" ]
schedule=$tmp/explore/v3-last-sc.schedule
check 'a schedule file' [ -s "$schedule" ]
tail -n 1 "$tmp/out" >"$tmp/last"
check 'the last line counts' says '0 passed, 1 failed' "$tmp/last"

explore --replay "$schedule"
check 'it breaks again, exit 1' [ $status -eq 1 ]
check 'in the same way' says '=> .*double REMOVE' "$tmp/out"

for option in --strategy=v3 --scenario=last --memory=sc --bound=2 --seconds=1 --random=0 --seed=2 --jobs=1; do
	explore --replay "$schedule" $option
	check "--replay with $option, exit 2" [ $status -eq 2 ]
	check "--replay with $option, one line" one_line
	check "--replay with $option, and why" says "${option%=*}: not with --replay: the schedule file says" "$tmp/err"
done

sed 's/^build ...../build 00000/' "$schedule" >"$tmp/other"
explore --replay "$tmp/other"
check 'another build, exit 2' [ $status -eq 2 ]
check 'another build, one line' one_line
check 'another build, both are named' says 'of build 00000.*this is build' "$tmp/err"
echo hello >"$tmp/hello"
explore --replay "$tmp/hello"
check 'no schedule file, exit 2' [ $status -eq 2 ]
check 'no schedule file, one line' one_line
sed 's/^run .*/run 0:1 1:1 0:1/' "$schedule" >"$tmp/short"
explore --replay "$tmp/short"
check 'a schedule that breaks nothing, exit 2' [ $status -eq 2 ]
check 'a schedule that breaks nothing, one line' one_line
sed 's/^run .*/run 7:1/' "$schedule" >"$tmp/cpu"
explore --replay "$tmp/cpu"
check 'a CPU that is not there, exit 2' [ $status -eq 2 ]
explore --replay "$tmp/none"
check 'no file, exit 2' [ $status -eq 2 ]

explore --strategy lockless --scenario first --bound 2
check 'a strategy that holds, exit 0' [ $status -eq 0 ]
check 'progress on stderr' says 'lockless first tso: bound 2' "$tmp/err"
check 'how far' says 'exhausted to preemption bound 2$' "$tmp/out"
cp "$tmp/out" "$tmp/before"
explore --strategy lockless --scenario first --bound 2
# Seconds apart, two runs say the same.
strip() {
	sed 's/ *[0-9.]* *$//' "$1"
}
check 'twice the same' [ "$(strip "$tmp/out")" = "$(strip "$tmp/before")" ]
explore --strategy global --scenario three --memory tso --bound 14 --seconds 1 --random 0
check 'not exhausted, exit 5' [ $status -eq 5 ]
check 'not exhausted, and says so' says 'NOT exhausted to preemption bound 14' "$tmp/out"
check 'not exhausted is not passed' says '^explore: 0 passed, 0 failed, 1 undecided; ' "$tmp/out"
explore --quiet --strategy lockless --scenario first,last --bound 14 --seconds 1 --random 0 --jobs 1
check 'each row has a share of the time' says '^lockless  *last  *tso  *[0-9]' "$tmp/out"
explore --quiet --strategy lockless --scenario first --memory sc --bound 0 --random 1000000000 --seconds 1
check 'random schedules cut short are named' says 'cut short in 1 rows$' "$tmp/out"
explore --quiet --strategy retain --bound 2
check 'a strategy that retains pairs, exit 0' [ $status -eq 0 ]
check 'a retained pair against a 2M mapping' says '^retain  *retained  *tso  *2 ' "$tmp/out"
# The search tells no more preemptions apart.
explore --strategy global --scenario three --bound 15
check 'a bound too large, exit 2' [ $status -eq 2 ]
check 'a bound too large, one line' one_line
check 'a bound too large, and what would be right' says 'from 0 to 14' "$tmp/err"
# Its random schedules come upon bytes that its search did not see shared: none is dropped.
explore --quiet --strategy rwlock --scenario cross --memory sc --bound 0 --random 200
check 'random schedules, exit 0' [ $status -eq 0 ]
check 'all random schedules are run' says '^rwlock  *cross  *sc  *0  *[0-9]*  *[0-9]*  *200 ' "$tmp/out"
check 'a full disk, exit 3' bash -c "$dpamt explore --quiet --strategy lockless --scenario first \
	--memory sc --bound 0 --random 0 2>'$tmp/err' >/dev/full; [ \$? -eq 3 ]"
check 'a full disk is named' says 'No space left' "$tmp/err"
explore --quiet --out /dev/null/there --strategy v3 --scenario last --memory sc
check 'a schedule that cannot be kept, exit 1' [ $status -eq 1 ]
check 'a schedule that cannot be kept, and why' says 'could not be kept: .*Not a directory' "$tmp/out"
explore --strategy static
check 'nothing to explore, exit 4' [ $status -eq 4 ]
explore --scenario nowhere
check 'an unknown scenario, exit 2' [ $status -eq 2 ]
check 'an unknown scenario, one line' one_line

# Started, and well in its search: hours would not end it. @pid, and that of its @child.
begin() {
	"$dpamt" explore --quiet --out "$tmp" --strategy global --scenario first,three --memory tso \
		--bound 14 --seconds 10000 --random 0 >"$tmp/out" 2>"$tmp/err" &
	pid=$!
	child=''
	while [ -z "$child" ] && kill -0 $pid 2>/dev/null; do
		read -r child <"/proc/$pid/task/$pid/children"
	done
	sleep 1
}

for signal in TERM INT; do
	begin
	kill -s $signal $pid
	wait $pid
	status=$?
	check "SIG$signal, exit 5" [ $status -eq 5 ]
	check "SIG$signal, and says so" says 'interrupted, NOT exhausted to preemption bound 14$' "$tmp/out"
	check "SIG$signal, what was reached is there" says '^global  *[a-z]*  *tso' "$tmp/out"
	check "SIG$signal, nobody is left" [ -n "$child" -a ! -d "/proc/${child:-self}" ]
done
begin
kill -s KILL $pid
wait $pid 2>/dev/null
for _ in {1..100}; do
	[ -d "/proc/$child" ] && sleep 0.1
done
check 'SIGKILL, nobody is left' [ -n "$child" -a ! -d "/proc/${child:-self}" ]

finish test_explore_cli
