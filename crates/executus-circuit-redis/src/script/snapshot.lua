-- What the circuit looks like.
return 'seen ' .. snapshot()
