-- The load of `tools/bench txn`, for sysbench: the same statements through PostgreSQL's protocol and through MySQL's.
-- Accounts 1 to `rows` are on the first shard, the next `rows` on the second.

sysbench.cmdline.options = {
  rows = {"Accounts on each of the two shards", 100000},
  workload = {"read, update, one-shard, two-shards or read-both", "read"},
  setup = {"A statement that each connection runs first", ""},
}

local function account(shard)
  return (shard - 1) * sysbench.opt.rows + sysbench.rand.uniform(1, sysbench.opt.rows)
end

local function transfer(from, to)
  local amount = sysbench.rand.uniform(1, 10)
  con:query("BEGIN")
  con:query(string.format("UPDATE accounts SET balance = balance - %d WHERE id = %d", amount, from))
  con:query(string.format("UPDATE accounts SET balance = balance + %d WHERE id = %d", amount, to))
  con:query("COMMIT")
end

local workloads = {
  ["read"] = function()
    con:query(string.format("SELECT balance FROM accounts WHERE id = %d", account(sysbench.rand.uniform(1, 2))))
  end,
  ["update"] = function()
    con:query(string.format(
      "UPDATE accounts SET balance = balance + 1 WHERE id = %d", account(sysbench.rand.uniform(1, 2))))
  end,
  -- The lower account first: these cannot wait for each other in a circle.
  ["one-shard"] = function()
    local shard = sysbench.rand.uniform(1, 2)
    local one, other = account(shard), account(shard)
    transfer(math.min(one, other), math.max(one, other))
  end,
  ["two-shards"] = function() transfer(account(1), account(2)) end,
  ["read-both"] = function()
    con:query(string.format("SELECT id, balance FROM accounts WHERE id IN (%d, %d)", account(1), account(2)))
  end,
}

function thread_init()
  con = sysbench.sql.driver():connect()
  if sysbench.opt.setup ~= "" then con:query(sysbench.opt.setup) end
  work = workloads[sysbench.opt.workload]
end

function thread_done()
  con:disconnect()
end

function event()
  work()
end
