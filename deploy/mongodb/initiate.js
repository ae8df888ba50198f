// Makes the replica set, and a user for each service that may read and write its own database only. Safe to run again.
const fs = require("fs");
const secret = (name) => fs.readFileSync("/run/secrets/" + name, "utf8").trim();
const hosts = process.env.MONGODB_HOSTS.split(",");
const services = process.env.MONGODB_USERS.split(",");

const first = new Mongo(
  "mongodb://admin:" + encodeURIComponent(secret("mongodb_admin_password")) + "@" + hosts[0] +
    "/admin?directConnection=true&tls=true&tlsCAFile=/run/secrets/authority"
);
const admin = first.getDB("admin");
try {
  admin.runCommand({ replSetInitiate: { _id: "silver", members: hosts.map((host, i) => ({ _id: i, host })) } });
} catch (error) {
  if (error.codeName !== "AlreadyInitialized") throw error;
}
while (!admin.runCommand({ hello: 1 }).isWritablePrimary) {
  if (admin.runCommand({ hello: 1 }).secondary) {
    print("the set is there and " + hosts[0] + " is not its primary: run again with the primary first");
    quit(75);
  }
  sleep(500);
}
for (const service of services) {
  const database = first.getDB(service);
  const user = { pwd: secret("mongodb_" + service + "_password"), roles: [{ role: "readWrite", db: service }] };
  if (database.getUser(service)) database.updateUser(service, user);
  else database.createUser({ user: service, ...user });
}
print(services.length + " users of " + hosts.length + " members");
