/* PubSubClient.h - the MQTT library that most sketches use, declarations only. */
#ifndef SDK_PUB_SUB_CLIENT_H
#define SDK_PUB_SUB_CLIENT_H

#include <Client.h>

class PubSubClient
{
  public:
    explicit PubSubClient(Client &client);
    PubSubClient &setServer(const char *host, uint16_t port);
    PubSubClient &setCallback(void (*callback)(char *topic, uint8_t *payload, unsigned int len));
    bool connect(const char *id);
    bool connected();
    bool subscribe(const char *topic);
    bool publish(const char *topic, const char *text);
    bool loop();
};

#endif
