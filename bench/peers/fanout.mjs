// The fan-out for Node.js, with nothing but its own http module: node fanout.mjs HOST:PORT ...
import http from 'node:http';

const buyers = process.argv.slice(2).map((a) => ({ host: a.split(':')[0], port: Number(a.split(':')[1]) }));
const agent = new http.Agent({ keepAlive: true, maxSockets: 4096, maxFreeSockets: 4096, scheduling: 'lifo' });
const pingBody = Buffer.from(JSON.stringify({
  ping_id: '06gzv5w8q7r2t4y6m8j0p1a2b3c4d5e6', vertical: 'auto', contract: 'b0-c', tmax_ms: 199, test: false, sale: 'any',
  lead: { zip: '94107', state: 'CA', age: 34, gender: 'F', credit: 'good', homeowner: false, currently_insured: true,
    current_carrier: 'Example Mutual', coverage_months: 26, city: 'San Francisco' },
}));
const postBody = Buffer.alloc(700, 'x');

// ask resolves to the buyer's answer, or to {} for any failure.
const ask = (to, path, body, limit) => new Promise((resolve) => {
  const req = http.request({
    agent, host: to.host, port: to.port, path, method: 'POST', timeout: limit,
    headers: { 'Content-Type': 'application/json', 'Content-Length': body.length },
  }, (res) => {
    const parts = [];
    res.on('data', (d) => parts.push(d));
    res.on('end', () => {
      try { resolve(JSON.parse(Buffer.concat(parts))); } catch { resolve({}); }
    });
  });
  req.on('timeout', () => req.destroy());
  req.on('error', () => resolve({}));
  req.end(body);
});

const server = http.createServer((req, res) => {
  req.resume();
  req.on('end', async () => {
    const bids = await Promise.all(buyers.map((b) => ask(b, '/ping', pingBody, 250)));
    let winner = -1;
    bids.forEach((b, i) => { if (b.bid > 0 && (winner < 0 || b.bid > bids[winner].bid)) winner = i; });
    const sold = winner >= 0 && (await ask(buyers[winner], '/post', postBody, 2000)).accepted === true;
    const out = JSON.stringify(sold ? { status: 'sold', buyer: winner, price: bids[winner].bid } : { status: 'rejected' });
    res.writeHead(200, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(out) });
    res.end(out);
  });
});
server.keepAliveTimeout = 60000;
server.listen(0, '127.0.0.1', () => console.log(`ready 127.0.0.1:${server.address().port}`));
