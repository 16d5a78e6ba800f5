// A test of a user: two callers count, each on a connection of its own.
const assert = require('node:assert');
const net = require('node:net');
const test = require('node:test');

class Client {
  constructor() {
    this.waiting = [];
    this.text = '';
    this.socket = net.connect(Number(process.env.REDIS_PORT), process.env.REDIS_HOST);
    this.socket.on('data', (data) => this.take(String(data)));
  }

  take(data) {
    this.text += data;
    for (;;) {
      const found = /^(?:\$-1|\$\d+\r\n(?<bulk>[^\r]*)|[+:-](?<line>[^\r]*))\r\n/.exec(this.text);
      if (!found) return;
      this.text = this.text.slice(found[0].length);
      this.waiting.shift()(found.groups.bulk ?? found.groups.line ?? '0');
    }
  }

  ask(...words) {
    this.socket.write(`*${words.length}\r\n${words.map((word) => `$${word.length}\r\n${word}\r\n`).join('')}`);
    return new Promise((resolve) => this.waiting.push(resolve));
  }
}

async function counted(add) {
  const [first, second] = [new Client(), new Client()];
  const late = async () => { // it reads its configuration first
    for (let number = 0; number < 3; number += 1) await second.ask('GET', `config:${number}`);
    await add(second);
  };
  await Promise.all([add(first), late()]);
  const found = await first.ask('GET', 'counter');
  first.socket.end();
  second.socket.end();
  return found;
}

test('racy', async () => {
  const add = async (client) => {
    const value = Number(await client.ask('GET', 'counter'));
    await client.ask('SET', 'counter', String(value + 1));
  };
  assert.equal(await counted(add), '2');
});

test('fixed', async () => {
  assert.equal(await counted((client) => client.ask('INCR', 'counter')), '2');
});
