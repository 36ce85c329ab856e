/* WiFiManager.h - the library that asks for a network on a page of its own, as sketches use it without waiting. */
#ifndef SDK_WIFI_MANAGER_H
#define SDK_WIFI_MANAGER_H

#include <Arduino.h>

class WiFiManager
{
  public:
    void setConfigPortalBlocking(bool)
    {
    }
    bool autoConnect(const char *)
    {
        return false;
    } /* the portal is open: nobody has said a network yet */
    bool process()
    {
        return ++turns_ == 3;
    } /* true once: now it has joined */

  private:
    int turns_ = 0;
};

#endif
