"""A call of every Redis command with words that make it work on the keys of tests/fingerprint/victims.py, so that
a read really reads and a change, were it sent, would really change something."""

READS = """
acl|cat; acl|whoami; bitcount bits; bitfield_ro bits GET u4 0; bitpos bits 1; client|getname; client|id; client|info; client|list;
cluster|countkeysinslot 1; cluster|info; cluster|keyslot string; cluster|myid; cluster|nodes; cluster|shards; cluster|slots;
command|count; command|docs get; command|getkeys get string; command|info get; command|list; config|get maxmemory*; dbsize; dump hash; echo hello;
exists string list; expiretime expiring; geodist geo Palermo Catania; geohash geo Palermo; geopos geo Palermo; georadius_ro geo 15 37 200 km;
georadiusbymember_ro geo Palermo 200 km; geosearch geo FROMMEMBER Palermo BYRADIUS 200 km; get string; getbit bits 7; getrange string 0 1;
hexists hash a; hget hash a; hgetall hash; hkeys hash; hlen hash; hmget hash a b; hrandfield hash; hscan hash 0; hstrlen hash a; hvals hash;
info; latency|doctor; latency|histogram; latency|history command; latency|latest; lcs string bits LEN; lindex list 0; llen list; lolwut; lpos list b;
lrange list 0 -1; memory|doctor; memory|malloc-stats; memory|stats; memory|usage hash; mget string bits; object|encoding hash; object|freq string;
object|idletime string; object|refcount string; pexpiretime expiring; ping; pttl expiring; pubsub|channels; pubsub|numpat; pubsub|numsub x;
pubsub|shardchannels; pubsub|shardnumsub; randomkey; role; scan 0; scard set; sdiff set set2; sinter set set2; sintercard 2 set set2;
sismember set a; slowlog|get 10; slowlog|len; smembers set; smismember set a b; srandmember set; sscan set 0; strlen string; substr string 0 1;
sunion set set2; time; ttl expiring; type hash; xinfo|consumers stream group; xinfo|groups stream; xinfo|stream stream; xlen stream;
xpending stream group; xrange stream - +; xrevrange stream + -; zcard zset; zcount zset 0 5; zdiff 2 zset zset2; zinter 2 zset zset2;
zintercard 2 zset zset2; zlexcount zset - +; zmscore zset a; zrandmember zset; zrange zset 0 -1; zrangebylex zset - +; zrangebyscore zset 0 5;
zrank zset a; zrevrange zset 0 -1; zrevrangebylex zset + -; zrevrangebyscore zset 5 0; zrevrank zset a; zscan zset 0; zscore zset a; zunion 2 zset zset2
"""

CHANGES = """
append string x; bitfield bits SET u4 0 1; bitop NOT made bits; copy string made; decr string; decrby string 2; del string list;
acl|setuser intruder on nopass +@all ~*; acl|deluser victim; client|kill TYPE pubsub; client|pause 1; config|set maxmemory 1mb; config|rewrite;
config|resetstat; eval return(redis.call('set','string','9')) 0; eval_ro return(1) 0; expire string 1; expireat string 1; fcall victim 0;
fcall_ro victim 0; flushall; flushdb; function|delete victim; function|flush; geoadd geo 1 1 x; georadius geo 15 37 200 km STORE made;
getdel string; getex string EX 1; getset string 9; hdel hash a; hincrby hash a 1; hset hash c 3; incr string; keys *; latency|reset;
linsert list BEFORE b x; lmove list list LEFT RIGHT; lpop list; lpush list x; lrem list 0 a; lset list 0 x; ltrim list 0 0; memory|purge;
mset string 1 made 2; persist expiring; pexpire string 1; pfadd hll z; pfcount hll; pfmerge made hll; psetex made 1000 x; publish ops hello;
rename string made; restore made 0 x; rpop list; rpush list x; sadd set z; save; script|flush; script|load return(2); sdiffstore made set set2;
set string 9; setbit bits 0 1; setex made 10 x; setnx made x; setrange string 0 9; shutdown NOSAVE; slowlog|reset; smove set set2 a; sort list ALPHA STORE made;
spop set; spublish ops x; srem set a; sunionstore made set set2; swapdb 0 1; touch string; unlink string; xack stream group 1-1;
xadd stream * f v; xautoclaim stream group c 0 0; xclaim stream group c 0 1-1; xdel stream 1-1; xgroup|create stream other 0; xgroup|destroy stream group;
xread COUNT 1 STREAMS stream 0; xreadgroup GROUP group c STREAMS stream >; xsetid stream 9-9; xtrim stream MAXLEN 0; zadd zset 5 z; zincrby zset 1 a;
zpopmax zset; zpopmin zset; zrem zset a; zremrangebyrank zset 0 0; zunionstore made 2 zset zset2; replicaof 127.0.0.1 1; slaveof 127.0.0.1 1;
debug SLEEP 0; failover; bgsave; bgrewriteaof; module|load /tmp/x.so; migrate 127.0.0.1 1 string 0 10; move string 1; acl|list; acl|genpass
"""

NOT_HERE = ("cluster|", "object|freq")      # the lab's server is no cluster and keeps no LFU
UNKNOWN = (["NOSUCH", "a"], ["FT.SEARCH", "i", "x"], ["JSON.SET", "a", "$", "1"], ["CONFIG", "NOSUCH"])


def table(text):
    found = {}
    for entry in text.replace("\n", " ").split(";"):
        name, *rest = entry.split()
        found[name] = rest
    return found


WORDS = {**table(READS), **table(CHANGES)}


def command(name, ends):
    """The words of a call. A read without words of its own would be a hole in the proof, so it is an error."""
    if ends == "read" and name not in WORDS and name not in ("command", "lastsave", "module|list"):
        raise KeyError(f"no words for the read '{name}': add them to tests/fingerprint/kinds_redis.py")
    return [*name.upper().split("|"), *WORDS.get(name, ["string"] if ends == "change" else [])]
