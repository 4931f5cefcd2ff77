#!/bin/sh
# A training script in shell and awk: Newton's method for the square root of 2, with a step that is too short or too long.
#
#   hpo tune objective=command 'objective.command="sh examples/script.sh {params.step}"' \
#       '+search_space.params.step={type: float, low: 0.05, high: 1.95}'
#
# It finds what it has to know in its environment: the epoch to reach, and a folder to keep its checkpoint in.

step=$1
saved="$HPO_CHECKPOINT/state"

epoch=0 x=9
[ -f "$saved" ] && read -r epoch x < "$saved"

while [ "$epoch" -lt "$HPO_RESOURCE" ]; do
  epoch=$((epoch + 1))
  x=$(awk -v x="$x" -v step="$step" 'BEGIN { printf "%.17g", x - step * (x * x - 2) / (2 * x) }')
  error=$(awk -v x="$x" 'BEGIN { far = x - 2 ^ 0.5; printf "%.17g", (far < 0) ? -far : far }')
  echo "$epoch $x" > "$saved.new" && mv "$saved.new" "$saved" # whole or not at all: it may be killed at any time
  echo "{\"epoch\": $epoch, \"validation_error\": $error}"
done
